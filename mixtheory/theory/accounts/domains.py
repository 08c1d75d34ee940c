"""What is said about other kinds of data."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="any_domain", chapter="boxes",
    says="Mixup works in every domain in which two examples can be blended in a meaningful way.")
Account(
    id="box_interpolation", chapter="boxes",
    says="For object detection the coordinates of the boxes are mixed like the images.")
Account(
    id="detectors_gain", chapter="boxes",
    says="Detectors such as YOLO and SSD gain from mixup as classifiers do.")
Account(
    id="graphs_not_averaged", chapter="graphs",
    says="Two graphs cannot be averaged, but the embeddings of two neighbourhoods can.")
Account(
    id="linear_in_meaning", chapter="graphs",
    says="What mixup enforces is linear behaviour in a space of meaningful representations.")
Account(
    id="attention_spreads", chapter="attention",
    says="Mixup blends all patches alike, so the class token spreads its attention evenly over the image.")
Account(
    id="global_view", chapter="attention",
    says="This makes a vision transformer look at the image as a whole.")
Account(
    id="foreign_patch", chapter="attention",
    says="CutMix draws the attention to the pasted patch.")
Account(
    id="cutmix_localises", chapter="cutmix",
    says="CutMix promotes localisation, a bias that complements that of mixup.")
