"""One LoRA in one process, as diffusers' text-to-image LoRA example does it: what users run today.

Import, load the base, add PEFT's adapter to the attention and feed-forward layers; at every step read pictures, encode
them, encode the caption, predict the noise, clip, step; save. `benchmarks/train.py` starts it.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]


class Faces(torch.utils.data.Dataset):
    """Pictures of a folder, read and fitted each time they are asked for, with the caption's tokens."""

    def __init__(self, folder: Path, side: int, ids: torch.Tensor) -> None:
        self.paths, self.side, self.ids = sorted(folder.glob("*.png")), side, ids

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        with Image.open(self.paths[index]) as image:
            fitted = np.asarray(image.convert("RGB").resize((self.side, self.side), Image.Resampling.LANCZOS))
        picture = torch.from_numpy(fitted.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1)
        return {"picture": picture.flip(-1) if torch.rand(()) < 0.5 else picture, "ids": self.ids}


def main() -> None:
    """Train one LoRA: base, folder of pictures, output folder, side, steps, batch, rank, threads."""
    base, pictures, output = (Path(text) for text in sys.argv[1:4])
    side, steps, batch, rank, threads = (int(text) for text in sys.argv[4:9])
    torch.set_num_threads(threads)
    accelerator = Accelerator()
    tokenizer = CLIPTokenizer.from_pretrained(base / "tokenizer")
    text_encoder = CLIPTextModel.from_pretrained(base / "text_encoder").requires_grad_(False)
    vae = AutoencoderKL.from_pretrained(base / "vae").requires_grad_(False)
    unet = UNet2DConditionModel.from_pretrained(base / "unet").requires_grad_(False)
    scheduler = DDPMScheduler.from_pretrained(base / "scheduler")
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=TARGETS))
    weights = [weight for weight in unet.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, 1e-3)
    ids = tokenizer("solo, manga style, face", padding="max_length", truncation=True, return_tensors="pt").input_ids[0]
    loader = torch.utils.data.DataLoader(Faces(pictures, side, ids), batch_size=batch, shuffle=True)
    unet, optimizer, loader = accelerator.prepare(unet, optimizer, loader)
    done = 0
    while done < steps:
        for given in loader:
            latents = vae.encode(given["picture"]).latent_dist.sample() * vae.config.scaling_factor
            noise = torch.randn_like(latents)
            timesteps = torch.randint(scheduler.config.num_train_timesteps, (len(latents),))
            context = text_encoder(given["ids"]).last_hidden_state
            model_pred = unet(scheduler.add_noise(latents, noise, timesteps), timesteps, context).sample
            loss = torch.nn.functional.mse_loss(model_pred, noise)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            done += 1
            if done == steps:
                break
    state = convert_state_dict_to_diffusers(get_peft_model_state_dict(accelerator.unwrap_model(unet)))
    StableDiffusionPipeline.save_lora_weights(output, unet_lora_layers=state, safe_serialization=True)


if __name__ == "__main__":
    main()
