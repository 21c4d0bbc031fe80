"""What an adapter consists of: two files, by PEFT's names, and how large each may be."""

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
CONFIG_LIMIT = 64 * 1024
WEIGHTS_LIMIT = 512 * 1024 * 1024
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
