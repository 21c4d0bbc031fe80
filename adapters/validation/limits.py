"""The files of an adapter, by PEFT's names, or one archive of them, and how large each may be."""

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_LIMIT = 64 * 1024
WEIGHTS_LIMIT = 512 * 1024 * 1024  # of what is served
UPLOAD_LIMIT = 2 * WEIGHTS_LIMIT  # float32 weights that are served once a conversion halved them
LIMITS_BYTES = {CONFIG_FILE: CONFIG_LIMIT, WEIGHTS_FILE: UPLOAD_LIMIT}
PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")

# Ending of an archive's name → the name it is stored under. No stranger's name becomes a part of a key.
ARCHIVES = {
    ".zip": "adapter.zip",
    ".tar": "adapter.tar",
    ".tar.gz": "adapter.tar.gz",
    ".tgz": "adapter.tar.gz",
}
ARCHIVE_LIMIT = UPLOAD_LIMIT + 32 * 1024 * 1024  # packed or unpacked: the weights and a tokenizer's files
MEMBERS_LIMIT = 100
# Trained weights pack to a quarter at best, where one factor of each pair is still zero. What packs better
# is made to cost us time; below INFLATED_BYTES that is little.
INFLATED_TIMES = 20
INFLATED_BYTES = 32 * 1024 * 1024


def archive_of(name: str) -> str:
    """Return the name under which an archive is stored, by the end of its own; "" when it is none."""
    for ending, stored_name in ARCHIVES.items():
        if name.lower().endswith(ending):
            return stored_name
    return ""
