"""What others stated on these protocols: the paper's own tables first, then later work.

Only what is certain stands here, with where it is from; a method whose figure is not is named without one. The paper's
(DAGER, arXiv 1702.04280) are as its authors list them at sighthound.com/technology/age-gender-emotion/benchmarks, with
the rows that they compare with. In per cent, unless the column is MAE (years) or ε.
"""

from collections.abc import Mapping

from training.core.benchmarks.protocol import Published

DAGER = "Dehghan et al., arXiv 1702.04280; sighthound.com benchmarks"
NOT_KNOWN = "not known here"


def _paper(method: str, year: int, **figures: str) -> Published:
    """As the paper's authors state it of their own system and of those they compare with."""
    return Published(method, year, {name.replace("_", "-"): figure for name, figure in figures.items()}, DAGER)


PUBLISHED: Mapping[str, tuple[Published, ...]] = {
    "lfw": (
        Published("DAGER (the paper)", 2017, {"accuracy": NOT_KNOWN}, "Dehghan et al., arXiv 1702.04280"),
        Published("DeepFace", 2014, {"accuracy": "97.35 ± 0.25"}, "Taigman et al., CVPR 2014"),
        Published("FaceNet", 2015, {"accuracy": "99.63 ± 0.09"}, "Schroff et al., CVPR 2015"),
        Published("dlib ResNet", 2017, {"accuracy": "99.38"}, "King, dlib.net"),
        Published("SphereFace", 2017, {"accuracy": "99.42"}, "Liu et al., CVPR 2017"),
        Published("CosFace", 2018, {"accuracy": "99.73"}, "Wang et al., CVPR 2018"),
        Published("MobileFaceNet", 2018, {"accuracy": "99.55"}, "Chen et al., CCBR 2018"),
        Published("ArcFace", 2019, {"accuracy": "99.83"}, "Deng et al., CVPR 2019"),
    ),
    "adience-age": (
        Published(
            "DAGER (the paper)", 2017, {"exact": NOT_KNOWN, "1-off": NOT_KNOWN}, "Dehghan et al., arXiv 1702.04280"
        ),
        Published(
            "LBP + FPLBP, SVM", 2014, {"exact": "45.1 ± 2.6", "1-off": "79.5 ± 1.4"}, "Eidinger et al., TIFS 2014"
        ),
        Published("Levi & Hassner", 2015, {"exact": "50.7 ± 5.1", "1-off": "84.7 ± 2.2"}, "CVPR workshops 2015"),
        Published("DEX, IMDB-WIKI", 2016, {"exact": "64.0 ± 4.2", "1-off": "96.6 ± 0.9"}, "Rothe et al., IJCV 2016"),
        Published("RoR", 2017, {"exact": "67.34 ± 3.56", "1-off": "97.51 ± 0.67"}, "Zhang et al., IEEE Access 2017"),
    ),
    "adience-gender": (
        _paper("DAGER (the paper)", 2017, accuracy="91.00"),
        _paper("Microsoft, as the paper measured it", 2017, accuracy="90.86"),
        _paper("DEX, as the paper measured it", 2017, accuracy="88.75"),
        _paper("Levi & Hassner, as the paper states it", 2015, accuracy="86.80"),
        _paper("Kairos, as the paper measured it", 2017, accuracy="84.66"),
        _paper("Face++, as the paper measured it", 2017, accuracy="83.04"),
        Published("LBP + FPLBP, SVM", 2014, {"accuracy": "77.8 ± 1.3"}, "Eidinger et al., TIFS 2014"),
        Published("RoR, fine-tuned by fold", 2017, {"accuracy": "93.24 ± 1.77"}, "Zhang et al., IEEE Access 2017"),
    ),
    "groups": (
        _paper("DAGER (the paper)", 2017, exact="70.5", **{"1_off": "96.2"}),
        _paper("Hou et al., as the paper states it", 2016, exact="65.0", **{"1_off": "96.1"}),
        _paper("DEX, as the paper states it", 2015, exact="62.3", **{"1_off": "94.3"}),
        _paper("Dong et al., as the paper states it", 2016, exact="56.0", **{"1_off": "92.0"}),
        _paper("Gallagher & Chen, as the paper states it", 2009, exact="42.9", **{"1_off": "78.1"}),
    ),
    "lap2015": (
        Published("DAGER (the paper)", 2017, {"ε": NOT_KNOWN, "MAE": NOT_KNOWN}, "Dehghan et al., arXiv 1702.04280"),
        Published("DEX (first)", 2015, {"ε": "0.264975"}, "Escalera et al., ICCV workshops 2015"),
        Published("ICT-VIPL, AgeNet (second)", 2015, {"ε": "0.270685"}, "Escalera et al., ICCV workshops 2015"),
        Published("human reference", 2015, {"ε": "0.34"}, "Escalera et al., ICCV workshops 2015"),
    ),
    "lap2016": (
        Published("DAGER (the paper)", 2017, {"ε": NOT_KNOWN, "MAE": NOT_KNOWN}, "Dehghan et al., arXiv 1702.04280"),
        Published("OrangeLabs (first)", 2016, {"ε": "0.2411"}, "Escalera et al., CVPR workshops 2016"),
        Published("palm_seu (second)", 2016, {"ε": "0.3214"}, "Escalera et al., CVPR workshops 2016"),
        Published("cmp+ETH (third)", 2016, {"ε": "0.3361"}, "Escalera et al., CVPR workshops 2016"),
    ),
    "real-age": (
        _paper("DAGER (the paper), on its own set", 2017, MAE="5.76"),
        _paper("DEX, on that set", 2017, MAE="7.34"),
        _paper("Microsoft, on that set", 2017, MAE="7.62"),
        _paper("Face++, on that set", 2017, MAE="11.04"),
    ),
    "fgnet": (
        Published("DAGER (the paper)", 2017, {"MAE": NOT_KNOWN}, "Dehghan et al., arXiv 1702.04280"),
        Published("BIF", 2009, {"MAE": "4.77"}, "Guo et al., CVPR 2009"),
        Published("OHRank", 2011, {"MAE": "4.48"}, "Chang et al., CVPR 2011"),
        Published("DEX, ImageNet only", 2016, {"MAE": "4.63"}, "Rothe et al., IJCV 2016"),
        Published("DEX, IMDB-WIKI", 2016, {"MAE": "3.09"}, "Rothe et al., IJCV 2016"),
        Published("deep regression forests", 2018, {"MAE": "3.85"}, "Shen et al., CVPR 2018"),
        Published("mean-variance loss, IMDB-WIKI", 2018, {"MAE": "2.68"}, "Pan et al., CVPR 2018"),
    ),
    "fer2013": (
        Published("DAGER (the paper)", 2017, {"accuracy": NOT_KNOWN}, "Dehghan et al., arXiv 1702.04280"),
        Published("people", 2013, {"accuracy": "65 ± 5"}, "Goodfellow et al., ICONIP 2013"),
        Published("CNN + linear SVM (first)", 2013, {"accuracy": "71.16"}, "Tang, ICML workshops 2013"),
        Published("ensemble of CNNs", 2016, {"accuracy": "75.2"}, "Pramerdorfer & Kampel, arXiv 1612.02903"),
    ),
    "ferplus": (
        Published("DAGER (the paper)", 2017, {"accuracy": NOT_KNOWN}, "Dehghan et al., arXiv 1702.04280"),
        Published("VGG13, majority, eight classes", 2016, {"accuracy": "83.85"}, "Barsoum et al., ICMI 2016"),
        Published("VGG13, drawn labels, eight classes", 2016, {"accuracy": "84.99"}, "Barsoum et al., ICMI 2016"),
        Published("SCN, eight classes", 2020, {"accuracy": NOT_KNOWN}, "Wang et al., CVPR 2020"),
    ),
    "ckplus": (
        Published("DAGER (the paper)", 2017, {"accuracy": NOT_KNOWN}, "Dehghan et al., arXiv 1702.04280"),
        Published("FaceNet2ExpNet, eight classes", 2017, {"accuracy": "96.8"}, "Ding et al., FG 2017"),
    ),
    "emotion-folders": (
        _paper("DAGER (the paper), on its own set", 2017, accuracy="76.1"),
        _paper("Microsoft, on that set", 2017, accuracy="61.3"),
    ),
    "cacd-vs": (
        Published("DAGER (the paper)", 2017, {"accuracy": NOT_KNOWN}, "Dehghan et al., arXiv 1702.04280"),
        Published("people, one by one", 2015, {"accuracy": "85.7"}, "Chen et al., TMM 2015"),
        Published("people, voting", 2015, {"accuracy": "94.2"}, "Chen et al., TMM 2015"),
        Published("CARC", 2015, {"accuracy": "87.6"}, "Chen et al., TMM 2015"),
        Published("LF-CNN", 2016, {"accuracy": "98.5"}, "Wen et al., CVPR 2016"),
        Published("OE-CNN", 2018, {"accuracy": "99.2"}, "Wang et al., ECCV 2018"),
        Published("DAL", 2019, {"accuracy": "99.40"}, "Wang et al., CVPR 2019"),
    ),
}
