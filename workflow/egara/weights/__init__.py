"""Vectors: LoRA files as points, by the exact Gram matrix of their inner products."""
