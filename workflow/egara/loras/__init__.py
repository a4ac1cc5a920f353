"""LoRAs: adapters from image sets, their training, their files."""
