"""The tensors of a training, by name, so that a checkpoint can hold them."""

import torch

from trainer.model import LoraModel

WEIGHTS = "weights/"
BEST = "best/"
OPTIMIZER = "optimizer/"
RANDOM = "random/cpu"
RANDOM_CUDA = "random/cuda"


def collect_tensors(
    model: LoraModel, optimizer: torch.optim.Optimizer, best: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return everything that training needs to resume."""
    tensors = {RANDOM: torch.get_rng_state()}
    if model.device == "cuda":
        tensors[RANDOM_CUDA] = torch.cuda.get_rng_state()
    for name, weight in model.weights.items():
        tensors[f"{WEIGHTS}{name}"] = weight.detach()
    for name, weight in best.items():
        tensors[f"{BEST}{name}"] = weight
    for number, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"{OPTIMIZER}{number}/{name}"] = value
    return tensors


def restore_tensors(
    tensors: dict[str, torch.Tensor], model: LoraModel, optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """Restore what `collect_tensors` returned; return the best weights so far."""
    torch.set_rng_state(tensors[RANDOM])
    if RANDOM_CUDA in tensors and model.device == "cuda":
        torch.cuda.set_rng_state(tensors[RANDOM_CUDA])
    copy_weights(select_tensors(tensors, WEIGHTS), model)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in select_tensors(tensors, OPTIMIZER).items():
        number, moment = name.split("/")
        moments.setdefault(int(number), {})[moment] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return select_tensors(tensors, BEST)


def select_tensors(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def copy_weights(weights: dict[str, torch.Tensor], model: LoraModel) -> None:
    """Copy weights into the adapter."""
    for name, weight in model.weights.items():
        weight.copy_(weights[name])
