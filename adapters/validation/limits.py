"""What an adapter consists of: two files, by PEFT's names, or one archive of them; how large each may be."""

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
CONFIG_LIMIT = 64 * 1024
WEIGHTS_LIMIT = 512 * 1024 * 1024  # of what is served
UPLOAD_LIMIT = 2 * WEIGHTS_LIMIT  # float32 weights that are served once a conversion halved them
LIMITS_BYTES = {CONFIG_FILE: CONFIG_LIMIT, WEIGHTS_FILE: UPLOAD_LIMIT}
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")

# How an archive is named → how it is kept: no stranger's name becomes a part of an address.
ARCHIVES = {
    ".zip": "adapter.zip",
    ".tar": "adapter.tar",
    ".tar.gz": "adapter.tar.gz",
    ".tgz": "adapter.tar.gz",
}
ARCHIVE_LIMIT = UPLOAD_LIMIT + 32 * 1024 * 1024  # packed or unpacked: the weights and a tokenizer's files
MEMBERS_LIMIT = 100
# Trained weights pack to a quarter at best, where one factor of each pair is still zero. What packs better is
# made to cost us time; below INFLATED_BYTES that is little.
INFLATED_TIMES, INFLATED_BYTES = 20, 32 * 1024 * 1024


def archive_of(name: str) -> str:
    """Return the name under which an archive is kept, by the end of its own; empty when it is none."""
    return next((kept for ending, kept in ARCHIVES.items() if name.lower().endswith(ending)), "")
