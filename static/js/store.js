// Posts one file straight to storage by its presigned fields. XHR, because fetch does not report progress.
export function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

class Refusal extends Error {
  constructor(message, expired = false) {
    super(message);
    this.expired = expired;
  }
}

export function store({ url, fields }, file, progress) {
  return new Promise((done, failed) => {
    const body = new FormData();
    for (const [key, value] of Object.entries(fields)) body.append(key, value);
    body.append("file", file); // storage ignores every field after the file
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.upload.onprogress = ({ loaded, total }) => progress(loaded, total);
    request.onload = () => (request.status < 300 ? done() : failed(refusal(request.status)));
    request.onerror = () => failed(new Refusal("The connection to storage broke. Press “Go on” to send this file again."));
    request.send(body);
  });
}

function refusal(status) {
  if (status === 400 || status === 413) return new Refusal("Storage refused this file: its size is not the one announced. Choose it again.", true);
  if (status === 403) return new Refusal("The permission to upload ran out. Press “Go on” to send this file again.", true);
  return new Refusal(`Storage answered with error ${status}. Press “Go on” to send this file again.`);
}
