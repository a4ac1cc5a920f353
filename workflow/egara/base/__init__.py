"""The embedded base: a small latent diffusion model in diffusers' layout, taught by set-aside artists only."""
