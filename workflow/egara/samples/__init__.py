"""Pictures drawn with the base model, with and without LoRAs."""
