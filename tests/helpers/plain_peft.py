"""One LoRA trained with PEFT's own layers and a plain loop: what an adapter of any pack must equal."""

import copy

import numpy as np


def train_plainly(unet, scheduler, adapter, text_encoder=None):
    """Return the LoRA's tensors by name; draws, rates and initial values are the adapter's own."""
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    from egara.loras.training.batches import draw_batch
    from egara.loras.training.packed import TARGETS, init_lora_A
    from egara.loras.training.settings import rate_at

    training = adapter.training
    parts = {"unet": unet, "text_encoder": text_encoder} if training.train_text_encoder else {"unet": unet}
    models, weights = {}, []
    for part, model in parts.items():
        targets = list(TARGETS[training.target_modules][part])
        config = LoraConfig(r=training.rank, lora_alpha=training.alpha, target_modules=targets)
        models[part] = inject_adapter_in_model(config, copy.deepcopy(model).requires_grad_(False))
        for name, module in models[part].named_modules():
            if hasattr(module, "lora_A") and "default" in module.lora_A:
                down = module.lora_A["default"].weight
                owner = () if training.init == "shared" else (adapter.name,)
                names = (training.seed, *owner, "init", f"{part}.{name}")
                down.data = init_lora_A(training.rank, down.shape[1], names)
        weights += [weight for weight in models[part].parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, training.learning_rate, weight_decay=training.adam_weight_decay)
    losses = []
    for step in range(training.max_train_steps):
        batch = draw_batch(adapter, step, 1000)
        mean, std = (adapter.latents[name][batch.rows, batch.mirrored] for name in ("mean", "std"))
        clean = torch.from_numpy(mean + std * batch.posterior)
        noise, timesteps = torch.from_numpy(batch.noise), torch.from_numpy(batch.timesteps)
        if training.train_text_encoder:
            context = models["text_encoder"](torch.from_numpy(adapter.ids)[None]).last_hidden_state
        else:
            context = torch.from_numpy(adapter.caption)[None]
        context = context.expand(len(clean), -1, -1)
        model_pred = models["unet"](scheduler.add_noise(clean, noise, timesteps), timesteps, context).sample
        each = ((model_pred - noise) ** 2).mean(dim=(1, 2, 3))
        if training.snr_gamma:
            alpha_bar = scheduler.alphas_cumprod[timesteps]
            ratio = alpha_bar / (1 - alpha_bar)
            each = each * torch.minimum(ratio, torch.tensor(training.snr_gamma)) / ratio
        optimizer.param_groups[0]["lr"] = rate_at(training, step)
        optimizer.zero_grad()
        each.mean().backward()
        torch.nn.utils.clip_grad_norm_(weights, training.max_grad_norm)
        optimizer.step()
        losses.append(each.mean().item())
    found = {}
    for part, model in models.items():
        for name, value in model.named_parameters():
            if "lora_" in name:
                found[f"{part}.{name.replace('.default', '')}"] = value.detach().numpy()
    return found, np.array(losses)


def distance(ours, theirs, part=""):
    """Return ‖ours - theirs‖ / ‖theirs‖ over all tensors whose name holds `part`."""
    keys = [key for key in sorted(theirs) if part in key]
    assert set(ours) == set(theirs)
    one, other = (np.concatenate([np.asarray(t[key]).ravel() for key in keys]) for t in (ours, theirs))
    return np.linalg.norm(one - other) / np.linalg.norm(other)
