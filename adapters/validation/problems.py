"""Everything that can be wrong with an adapter: code → sentence and fix. docs/adapters.md lists all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.utils.translation import gettext_noop as _

from core.messages import Facts, MessageCode, group_numbers


@dataclass(frozen=True)
class Problem:
    """A kind of finding; `{names}` are filled in with the facts."""

    sentence: str
    fix: str


RETRAIN = _("Train a plain LoRA without it.")
SAVE_AGAIN = _("Save the adapter again with PEFT's save_pretrained and upload the new file.")
PACK_AGAIN = _(
    "Create the archive again (.zip, .tar or .tar.gz) with the adapter's two files under their original "
    "names."
)
UPLOAD_ADAPTER = _("Upload the adapter again.")
UPLOAD_AGAIN = _("Upload the file again; it was truncated or changed in transit.")

FILES = {
    "file_missing": Problem(_("{file} is missing."), _("Add it. PEFT's save_pretrained writes both files.")),
    "file_misnamed": Problem(
        _("The weights file is named {file}; engines expect adapter_model.safetensors."),
        _("Rename it to adapter_model.safetensors."),
    ),
    "file_pickle": Problem(
        _("{file} is a pickle file. Opening it could run arbitrary code, so we never do."),
        _("Remove it and save with PEFT's save_pretrained(…, safe_serialization=True)."),
    ),
    "file_archive": Problem(_("{file} is an archive."), _("Unpack it and upload the two files inside.")),
    "config_too_large": Problem(
        _("adapter_config.json is {size} bytes; the limit is {limit}."),
        _("Keep only PEFT's own fields."),
    ),
    "weights_too_large": Problem(
        _("adapter_model.safetensors is {size} bytes; the limit is {limit}."),
        _("Train with a lower rank, or save the weights in bfloat16."),
    ),
}

ARCHIVES = {
    "archive_damaged": Problem(_("The archive can't be read: {reason}."), PACK_AGAIN),
    "archive_path": Problem(_("{file} points outside the archive."), PACK_AGAIN),
    "archive_link": Problem(_("{file} is a link or a device, not a regular file."), PACK_AGAIN),
    "archive_encrypted": Problem(
        _("{file} is encrypted."), _("Create the archive again without a password.")
    ),
    "archive_method": Problem(
        _("{file} uses an unsupported compression method. Use deflate or no compression."), PACK_AGAIN
    ),
    "archive_nested": Problem(_("{file} is an archive inside the archive."), PACK_AGAIN),
    "archive_members": Problem(
        _("The archive contains more than {limit} files."), _("Include only the adapter's two files.")
    ),
    "archive_duplicate": Problem(
        _("{file} is in the archive twice, so its content is ambiguous."), PACK_AGAIN
    ),
    "archive_several": Problem(
        _("The archive contains {file} in several places, so it's unclear which adapter to use."),
        _("Include one adapter only, without checkpoints."),
    ),
    "archive_place": Problem(
        _("{file} must be at the top level of the archive, or next to the other file in its only folder."),
        PACK_AGAIN,
    ),
    "archive_too_large": Problem(
        _("{file} unpacks to more than {limit} bytes."), _("Include only the adapter's two files.")
    ),
    "archive_inflated": Problem(
        _("{file} unpacks to more than {limit} times its compressed size. Trained weights never do."),
        _("Upload the two files of a trained adapter."),
    ),
}

HEADER = {
    "weights_empty": Problem(_("adapter_model.safetensors is empty."), UPLOAD_AGAIN),
    "weights_pickle": Problem(
        _("adapter_model.safetensors is a renamed pickle file. We never open pickle files."),
        _("Save with PEFT's save_pretrained(…, safe_serialization=True); renaming doesn't convert the file."),
    ),
    "weights_pointer": Problem(
        _("adapter_model.safetensors is a Git LFS pointer, not the weights."),
        _("Run git lfs pull, then upload the file."),
    ),
    "not_safetensors": Problem(
        _("adapter_model.safetensors is not a valid safetensors file: {reason}."), SAVE_AGAIN
    ),
    "header_cut": Problem(
        _("The header claims to be {claimed} bytes, but only {left} bytes follow its length field."),
        UPLOAD_AGAIN,
    ),
    "header_too_long": Problem(
        _("The header claims to be {claimed} bytes; the limit is {limit}."), SAVE_AGAIN
    ),
    "header_duplicate": Problem(_("The header has {name} twice, so its meaning is ambiguous."), SAVE_AGAIN),
    "header_metadata": Problem(_("The header's __metadata__ is not a map of strings."), SAVE_AGAIN),
    "header_entry": Problem(_("The header's entry for {tensor} is malformed: {reason}."), SAVE_AGAIN),
    "dtype": Problem(
        _("{tensor} is stored as {dtype}; engines support F32, F16 and BF16."),
        _("Save the adapter in bfloat16 (or float32, float16)."),
    ),
    "size_lies": Problem(
        _(
            "{tensor} has shape {shape} in {dtype} ({expected} bytes), but takes up {actual} bytes in "
            "the file."
        ),
        SAVE_AGAIN,
    ),
    "offsets_overlap": Problem(_("{tensor} overlaps the tensor before it in the file."), SAVE_AGAIN),
    "offsets_gap": Problem(
        _("{gap} bytes before {tensor} belong to no tensor. They could contain hidden data."), SAVE_AGAIN
    ),
    "file_truncated": Problem(_("The file is {missing} bytes shorter than its header says."), UPLOAD_AGAIN),
    "file_trailing": Problem(_("{extra} bytes after the last tensor belong to no tensor."), SAVE_AGAIN),
    "no_tensors": Problem(
        _("The file contains no tensors."), _("Save the adapter after training and upload it again.")
    ),
}

CONFIG = {
    "config_not_json": Problem(_("adapter_config.json is not a JSON object: {reason}."), SAVE_AGAIN),
    "config_duplicate": Problem(
        _("adapter_config.json has {name} twice, so its meaning is ambiguous."), _("Remove one of the two.")
    ),
    "peft_type": Problem(_("peft_type is {value}; only LORA is supported."), _("Train a LoRA adapter.")),
    "task_type": Problem(
        _("task_type is {value}; only CAUSAL_LM is supported."), _("Train for text generation.")
    ),
    "rank_invalid": Problem(
        _("r is {value}; it must be a positive whole number."), _("Set r to the rank used in training.")
    ),
    "rank_too_high": Problem(
        _("The rank is {rank}; this engine supports up to {limit}."), _("Train with r = {limit} or less.")
    ),
    "alpha_invalid": Problem(
        _("lora_alpha is {value}; it must be a finite positive number."),
        _("Set lora_alpha to the value used in training."),
    ),
    "rslora_invalid": Problem(
        _("use_rslora is {value}; it must be true or false."), _("Set it to the value used in training.")
    ),
    "targets_invalid": Problem(
        _("target_modules is missing or is not a list of module names."),
        _("List the trained modules, such as q_proj."),
    ),
    "base_missing": Problem(
        _("base_model_name_or_path is empty, so we can't tell which model the adapter belongs to."),
        _("Set it to the base model used in training. This service serves {base}."),
    ),
    "base_mismatch": Problem(
        _(
            "The adapter was trained on {name}, but this service serves {base}. Adapters only work with "
            "the model they were trained on."
        ),
        _("Train on {base}. If you did, under a different name, set base_model_name_or_path to {base}."),
    ),
    "quantisation_mismatch": Problem(
        _(
            "The adapter was trained on a base model in {trained}, but we serve it in {served}. An "
            "adapter compensates for the rounding of the exact weights it was trained on."
        ),
        _("Train on {base}, loaded in {served}."),
    ),
    "dora": Problem(_("The adapter uses DoRA (use_dora), which engines can't serve."), RETRAIN),
    "alora": Problem(
        _("The adapter is an activated LoRA (alora_invocation_tokens), which engines can't serve."), RETRAIN
    ),
    "bias": Problem(
        _("The adapter trains biases (bias = {value}), which engines ignore."),
        _("Train with bias = none."),
    ),
    "lora_bias": Problem(
        _("The adapter has biases on its own layers (lora_bias), which engines ignore."),
        _("Train with lora_bias = false."),
    ),
    "modules_to_save": Problem(
        _(
            "The adapter replaces whole layers (modules_to_save: {value}), but all styles share the "
            "base model's."
        ),
        _("Train without modules_to_save."),
    ),
    "layer_replication": Problem(
        _(
            "The adapter repeats layers of the base model (layer_replication), but all styles share one "
            "base model."
        ),
        RETRAIN,
    ),
    "init_changes_base": Problem(
        _(
            "init_lora_weights is {value}, which changes the base model's weights in training, but all "
            "styles share one base model."
        ),
        _("Convert it: save_pretrained(…, path_initial_model_for_weight_conversion=…), or train without it."),
    ),
    "qalora": Problem(_("The adapter uses QALoRA (use_qalora), which engines can't serve."), RETRAIN),
    "bdlora": Problem(
        _("The adapter uses block-diagonal LoRA (use_bdlora), which engines can't serve."), RETRAIN
    ),
    "kasa": Problem(
        _("The adapter uses KaSA (kasa_config), which changes the base model's weights."), RETRAIN
    ),
    "monteclora": Problem(
        _("The adapter uses MonteCLoRA (monteclora_config), which engines can't serve."), RETRAIN
    ),
    "arrow": Problem(_("The adapter uses Arrow routing (arrow_config), which engines can't serve."), RETRAIN),
    "target_parameters": Problem(
        _("The adapter trains bare parameters (target_parameters), which engines can't serve."),
        _("Name layers in target_modules instead."),
    ),
    "trainable_tokens": Problem(
        _(
            "The adapter trains individual tokens (trainable_token_indices), but all styles share the "
            "base model's vocabulary."
        ),
        RETRAIN,
    ),
    "fan_in_fan_out": Problem(
        _("fan_in_fan_out is set: the adapter was trained on transposed layers, which {base} does not have."),
        _("Train on {base} and leave fan_in_fan_out false."),
    ),
    "feature_unknown": Problem(
        _("{name} is set, a training feature that engines don't support."),
        _("Train without {name}."),
    ),
    "pattern_invalid": Problem(
        _(
            "{field} must map module names to positive numbers (whole numbers for ranks). The entry "
            "{name} does not."
        ),
        _("Correct that entry."),
    ),
    "pattern_not_plain": Problem(
        _(
            "{field} contains the expression {name}. Only plain module names are allowed, because the "
            "engine would evaluate it."
        ),
        _("List each module name as a separate entry."),
    ),
    "patterns_too_many": Problem(
        _("{field} has {count} entries; the limit is {limit}."),
        _("Use names that cover several layers, such as q_proj."),
    ),
}

TENSOR_NAMES = {
    "name_infix": Problem(
        _("{tensor} still contains the adapter's name, as it does during training."),
        _("Save with PEFT's save_pretrained, or rename it to {right}."),
    ),
    "name_prefix": Problem(_("{tensor} lacks the prefix base_model.model."), _("Rename it to {right}.")),
    "name_unknown": Problem(
        _(
            "{tensor} is not a LoRA weight. Expected names: base_model.model.<module>.lora_A.weight and "
            "….lora_B.weight."
        ),
        _("Save only the LoRA weights, with PEFT's save_pretrained."),
    ),
    "tensor_embedding": Problem(
        _("{tensor} changes the vocabulary, but all styles share the base model's."),
        _("Remove embed_tokens and lm_head from target_modules and train again."),
    ),
    "tensor_dora": Problem(
        _("{tensor} belongs to DoRA, which engines can't serve."), _("Train with use_dora = false.")
    ),
    "tensor_bias": Problem(_("{tensor} is a bias, which engines ignore."), _("Train without biases.")),
    "tensor_full": Problem(
        _("{tensor} is a full model weight, not a LoRA weight."), _("Train without modules_to_save.")
    ),
    "layer_not_in_base": Problem(
        _("{tensor} is for layer {layer}; {base} has layers 0 to {last}."), _("Train on {base}.")
    ),
    "module_not_in_base": Problem(
        _("{tensor} is for {module}, which {base} does not have (it has {has})."), _("Train on {base}.")
    ),
    "module_not_targeted": Problem(
        _("{tensor} is for {module}, which was not trained according to adapter_config.json ({field})."),
        _("Upload the adapter_config.json that was saved with these weights."),
    ),
    "pair_incomplete": Problem(_("{tensor} has no matching lora_{side}."), SAVE_AGAIN),
    "rank_mismatch": Problem(
        _("{tensor} has rank {actual}; adapter_config.json says {expected}."),
        _("Upload the adapter_config.json that was saved with these weights."),
    ),
    "shape": Problem(
        _("{tensor} has shape {actual}, but {base} needs {expected}. It was trained on a different model."),
        _("Train on {base}."),
    ),
}

WEIGHTS = {
    "not_finite": Problem(
        _("{tensor} contains NaN or infinity. In an engine, that would blank out other users' answers."),
        _("Train again with a lower learning rate or in bfloat16."),
    ),
    "value_too_large": Problem(
        _("{tensor} reaches {value} (with its scale); the limit is {limit}."),
        _("Train again with a lower learning rate or a smaller lora_alpha."),
    ),
    "all_zero": Problem(
        _("{tensor} is all zeros in the engine's precision, so it has no effect."),
        _("Save the adapter after training, not before, and leave out untrained layers."),
    ),
    "too_strong": Problem(
        _(
            "{tensor} and its counterpart change their layer by {percent}% of its norm; the limit is "
            "{limit}%. The output would be noise."
        ),
        _("Check lora_alpha, or train again with a lower learning rate."),
    ),
    "factors_cancel": Problem(
        _(
            "{tensor} and its counterpart are {times} times too large and cancel each other out. In the "
            "engine's precision, only noise is left."
        ),
        _("Train again with a lower learning rate."),
    ),
}

CLOSING = {
    "more": Problem(_("And {count} more like these."), _("Fix the findings above and check again.")),
}

# What is wrong with an upload and not with an adapter: no check of files finds it.
UPLOADS = {
    "check_failed": Problem(
        _("Checking this upload failed three times. This is a problem on our side, not with your files."),
        _("Our support team has the files and is looking into it. Your live version is unaffected."),
    ),
    "not_stored": Problem(_("There is no {file} in storage for this version."), UPLOAD_ADAPTER),
    "nothing_to_convert": Problem(
        _("This version can no longer be converted. Upload the corrected files as a new version."),
        UPLOAD_ADAPTER,
    ),
    "plan_full": Problem(
        _("After unpacking or conversion it takes up {size}, more than your plan's storage has left."),
        _("Delete versions you no longer need, or upgrade your plan."),
    ),
    "abandoned": Problem(_("The upload was not completed within 24 hours."), UPLOAD_ADAPTER),
    "cancelled": Problem(_("The upload was cancelled before it was complete."), UPLOAD_ADAPTER),
    "deleted": Problem(_("The version was deleted before its upload was complete."), UPLOAD_ADAPTER),
    "sent_too_often": Problem(
        _("The same parts of a file were sent too many times."),
        _("Upload the adapter again and send each part once."),
    ),
}

SECTIONS = {
    "The files": FILES,
    "Archives": ARCHIVES,
    "The safetensors header": HEADER,
    "The config": CONFIG,
    "Tensor names and shapes": TENSOR_NAMES,
    "The weights": WEIGHTS,
    "Further findings": CLOSING,
}
PROBLEMS: dict[str, Problem] = {}
for _problems in SECTIONS.values():
    PROBLEMS.update(_problems)


class Reason(MessageCode):
    """Facts of findings that are words themselves."""

    HUGE_NUMBER = _("a huge number")
    FULL_PRECISION = _("full precision")
    THE_ARCHIVE = _("The archive")
    TOO_LITTLE = _("it declares more data than it contains")
    PARTS_BEFORE = _("its parts lie before its beginning")
    LONG_HEADERS = _("its headers are too large")
    MANY_GZIP_FILES = _("it consists of too many gzip streams")
    ENDS_EARLY = _("it ends too early")
    MEMBERS_OVERLAP = _("its members overlap")
    OTHER_JSON = _("it is a different type of JSON")
    NOT_TEXT = _("it is not UTF-8 text")
    NESTED_DEEPLY = _("it is nested too deeply")
    NEGATIVE_ZERO = _("-0 is not a whole number")
    CONSTANT = _("{constant} is not a number in JSON")
    GGUF = _("it is a GGUF file")
    GZIP = _("it is a gzip archive")
    NUMPY = _("it is a NumPy file")
    WITHOUT_HEADER = _("it has no header")
    HEADER_NOT_JSON = _("its header is not JSON ({error})")
    HALF_CHARACTER = _("its name contains an incomplete character")
    FIELDS_MISSING = _("it must have dtype, shape and data_offsets")
    DTYPE_NO_TEXT = _("dtype is not a string")
    SHAPE_NO_LIST = _("shape is not a short list of integers")
    OFFSETS_NO_PAIR = _("data_offsets is not a start and an end")


class FindingCode(MessageCode):
    """The sentences of findings, and their fixes. Numbers are written as people write them."""

    def show_facts(self, facts: Facts) -> dict[str, str]:
        """Return facts as texts; a finding of no tensor has an empty one."""
        return {"tensor": "", **group_numbers(facts)}


def _codes(name: str, sentences: Mapping[str, str]) -> type[FindingCode]:
    members = {code.upper(): sentence for code, sentence in sentences.items()}
    make: Any = FindingCode  # the call that makes a member's class, and not a message
    return cast("type[FindingCode]", make(name, members, module=__name__))


_ALL = PROBLEMS | UPLOADS
FindingSentence = _codes("FindingSentence", {code: one.sentence for code, one in _ALL.items()})
FindingFix = _codes("FindingFix", {code: one.fix for code, one in _ALL.items()})
