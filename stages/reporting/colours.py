"""Every colour of the figures, by what it stands for. None is spelled anywhere else but in the style file.

What is compared (published, reproduced, corrected) has colours of Okabe and Ito's; what is varied has those of Paul
Tol's scheme "muted", or a place on a scale of lightness. Both schemes are told apart with any colour vision.
"""

INK, NOTE, FAINT, PAPER = "#111111", "#5f5f5f", "#a8a8a8", "#ffffff"

# Where a number comes from: from the report, from the training that its code did, from the training that it describes.
PUBLISHED, REPRODUCED, CORRECTED = "#555555", "#d55e00", "#0072b2"

# Of one model of record: what is scored, the training behind it, and how sure it is.
SCORED, TRAINING, CONFIDENCE = CORRECTED, "#e69f00", REPRODUCED

# A published run that ends elsewhere than ours: the ground of its panel.
OUTSIDE = "#fbe9e0"

# Variants that have names. Tol's "muted" without its sand, which is too light for lines, and its cyan a little darker.
NAMED = ("#cc6677", "#332288", "#117733", "#56b4e9", "#882255", "#44aa99", "#999933", "#aa4499")

# Variants that are values of a quantity, the smallest dark; the brightest end of the map is too light for lines.
QUANTITY_MAP, QUANTITY_ENDS = "plasma", (0.0, 0.86)

# Numbers in a table of counts, and weights on both sides of nothing.
COUNTS_MAP, WEIGHTS_MAP, GREY_MAP = "Blues", "RdBu_r", "gray_r"

# Verdicts, whose words stand beside or on their colours.
VERDICTS = {
    "supported": "#117733",
    "contradicted": "#c44e00",
    "undecided": "#c9c9c9",
    "artefact": "#882255",
    "not judged": "#ffffff",
}
ON_VERDICTS = {"supported": PAPER, "contradicted": PAPER, "undecided": INK, "artefact": PAPER, "not judged": NOTE}
