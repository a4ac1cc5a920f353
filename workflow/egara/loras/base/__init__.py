"""The base model that LoRAs are trained on, and the device that it runs on."""
