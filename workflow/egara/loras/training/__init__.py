"""Many LoRAs trained at once, each as if alone."""

# Part of the key under which the store keeps a LoRA, instead of a hash of the code. Raise it by one when a change in
# `egara.loras.training` changes the numbers of a LoRA that is trained from the same inputs: streams of randomness,
# initial values, batches, loss, optimizer, precision, target layers. Names, messages, speed and memory do not count.
TRAINING_VERSION = 1
