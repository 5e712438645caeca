#!/usr/bin/env python3
"""Trains the repository's digits network and writes model and data. Needed only to make them anew; nothing runs this.

    python3 examples/digits/train.py            # Debian: python3-torch python3-sklearn; about five minutes on one core

Data: "Optical recognition of handwritten digits", UCI Machine Learning Repository (E. Alpaydin, C. Kaynak, 1998,
https://doi.org/10.24432/C50P49), CC BY 4.0, the 1,797 images of 8 x 8 that ship with scikit-learn, unchanged. The first
898 train the network, 128 of those calibrate it, the other 899 judge it and choose nothing.
"""
import os
import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_digits

HERE = os.path.dirname(os.path.abspath(__file__))
TRAIN, CALIBRATE, EPOCHS = 898, 128, 40


def conv(c, o, k, groups=1, act=True):
    layers = [nn.Conv2d(c, o, k, padding=k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, nn.ReLU()) if act else nn.Sequential(*layers)


class Net(nn.Module):
    """5.5 million multiply-adds: plain, depthwise and 1x1 convolutions, a residual add."""

    def __init__(self):
        super().__init__()
        self.stem = conv(1, 32, 3)
        self.dw = conv(32, 32, 3, groups=32)
        self.pw = conv(32, 64, 1)
        self.c1 = conv(64, 64, 3)
        self.c2 = conv(64, 64, 3, act=False)
        self.expand = conv(64, 128, 1)
        self.dw2 = conv(128, 128, 3, groups=128)
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = self.pw(self.dw(self.stem(x)))
        x = torch.relu(x + self.c2(self.c1(x)))
        x = self.dw2(self.expand(x))
        return self.fc(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


def shifted(x):
    """Every image moved by up to one pixel."""
    dy, dx = np.random.randint(-1, 2, 2)
    return torch.roll(x, (int(dy), int(dx)), (2, 3))


def main():
    torch.manual_seed(1)
    np.random.seed(1)
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    np.save(os.path.join(HERE, "calibration.npy"), images[:CALIBRATE])
    np.save(os.path.join(HERE, "evaluation.npy"), images[TRAIN:])
    np.save(os.path.join(HERE, "evaluation_labels.npy"), labels[TRAIN:])
    x = torch.tensor(images[:TRAIN, None] / np.float32(16), dtype=torch.float32)
    y = torch.tensor(labels[:TRAIN].astype(np.int64))
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=EPOCHS * 15)
    for epoch in range(EPOCHS):
        order, total = torch.randperm(TRAIN), 0.0
        for i in range(0, TRAIN - 1, 60):
            pick = order[i:i + 60]
            loss = nn.functional.cross_entropy(net(shifted(x[pick])), y[pick], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss)
        print("epoch %d: loss %.4f" % (epoch + 1, total / 15), flush=True)
    net.eval()
    # PRESERVE keeps the BatchNorms: folding them is the library's job
    torch.onnx.export(net, torch.zeros(1, 1, 8, 8), os.path.join(HERE, "digits.onnx"), opset_version=13, input_names=["image"],
                      output_names=["logits"], dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
                      training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    with torch.no_grad():
        held_out = net(torch.tensor(images[TRAIN:, None] / np.float32(16), dtype=torch.float32)).argmax(1).numpy()
    print("held out: %.2f%% of %d" % (100 * (held_out == labels[TRAIN:]).mean(), len(held_out)))


if __name__ == "__main__":
    main()
