"""Crops and captions as the base sees them: latents and text embeddings, cached by content."""
