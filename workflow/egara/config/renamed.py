"""Keys that once had another name: a configuration that uses one is told the new name."""

RENAMED = {
    "maps": "projections",
    "maps.components": "projections.n_components",
    "maps.batch": "projections.batch_size",
    "maps.neighbours": "projections.n_neighbors",
    "maps.incremental": "projections.incremental",
    "maps.min_dist": "projections.min_dist",
    "machine.checkpoint": "machine.checkpoint_minutes",
    "machine.recompute": "machine.gradient_checkpointing",
    "samples.count": "samples.num_images",
    "samples.guidance": "samples.guidance_scale",
    "samples.steps": "samples.num_inference_steps",
    "samples.strengths": "samples.lora_scales",
    "stored_as": "save_dtype",
    "training.batch": "training.train_batch_size",
    "training.clip": "training.max_grad_norm",
    "training.flip": "training.random_flip",
    "training.min_snr": "training.snr_gamma",
    "training.precision": "training.mixed_precision",
    "training.resample": "training.image_interpolation_mode",
    "training.schedule": "training.lr_scheduler",
    "training.steps": "training.max_train_steps",
    "training.targets": "training.target_modules",
    "training.text_encoder": "training.train_text_encoder",
    "training.warm_up": "training.lr_warmup_steps",
    "training.weight_decay": "training.adam_weight_decay",
}
# Where the values have other names too.
VALUES = {"training.precision": "no for float32, bf16, fp16; no with training.allow_tf32: true for tf32"}


def find_renamed(config: dict) -> list[str]:
    """Return a line for each old key of a configuration, with its new name."""
    lines = []
    for old, new in RENAMED.items():
        if _has(config, old.split(".")):
            values = f" ({VALUES[old]})" if old in VALUES else ""
            lines.append(f"{old}: renamed; expected {new}{values}")
    return lines


def drop_renamed(config: dict) -> dict:
    """Return a copy of a configuration without its old keys."""
    return {
        key: {name: part for name, part in value.items() if f"{key}.{name}" not in RENAMED}
        if isinstance(value, dict)
        else value
        for key, value in config.items()
        if key not in RENAMED
    }


def _has(config: object, keys: list[str]) -> bool:
    return isinstance(config, dict) and keys[0] in config and (len(keys) == 1 or _has(config[keys[0]], keys[1:]))
