"""Signatures as they are stored: those of an untrained model's evaluation on invented images."""

import functools

import numpy as np

from harness.metrics import METRICS

# Enough for the distance extrapolated to infinitely many images in 64 random features.
IMAGES, SHAPE = 136, (3, 32, 32)


@functools.cache
def measured() -> dict[str, str]:
    """Return column -> signature of what needs no pretrained weights, with N for the images."""
    import torch

    import losses
    import models
    from harness import evaluate, reference, seeds
    from harness.protocol import Protocol

    protocol, device = Protocol(latent=4), torch.device("cpu")
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (IMAGES, *SHAPE), dtype=np.uint8)
    model = models.build(
        "conv4",
        image_shape=SHAPE,
        latent_size=protocol.latent,
        generator=seeds.generator("documentation"),
        width=4,
        mlp=16,
    )
    known = reference.reference(images, images, protocol, device, {})
    found = evaluate.evaluate(
        model,
        images,
        known,
        protocol,
        axes=("documentation",),
        device=device,
        sigma=0.1,
        loss=losses.build("l2"),
    )
    return {
        name: str(found.metrics[f"{name}_signature"]).replace(str(IMAGES), "N")
        for name in METRICS
        if f"{name}_signature" in found.metrics
    }
