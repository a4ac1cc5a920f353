"""The embedded base model: a small latent diffusion model in diffusers' layout, pre-trained on set-aside artists only."""
