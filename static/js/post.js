// POST JSON to the studio. Throws {errors: {field: [sentences]}, status}, without status when it cannot be reached.
import { gettext, interpolate } from "./words.js";
export async function post(form, url, body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, Accept: "application/json" };
  let response;
  try {
    response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), redirect: "manual" });
  } catch {
    throw { errors: { __all__: [gettext("We couldn’t reach Polyscribe. Check your connection, then continue.")] } };
  }
  if (response.type === "opaqueredirect") throw { errors: { __all__: [sentence(403)] } }; // to the log-in page
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw { errors: answer.errors ?? { __all__: [sentence(response.status)] }, status: response.status };
}

function sentence(status) {
  if (status === 403) return gettext("You were logged out, or this page has expired. Log in in another tab, then reload this page.");
  if (status === 503) return gettext("We can’t reach storage right now. Wait a moment, then continue.");
  return interpolate(gettext("Something went wrong (error {status}). Nothing is lost. Wait a moment, then continue."), { status });
}
