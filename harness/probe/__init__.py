"""The X-ray of losses: what they react to, measured on perturbed images without any training."""
