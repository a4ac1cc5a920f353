"""LoRA files as points: exact Gram matrices of their inner products."""
