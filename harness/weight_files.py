"""The table of pretrained weights: files, official addresses, digests, sizes, licences."""

from dataclasses import dataclass

_TORCHVISION = "https://download.pytorch.org/models/"
_FID = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
_CZOLBE = (
    "https://raw.githubusercontent.com/SteffenCzolbe/PerceptualSimilarity/"
    "3729dd1fc7e7082c0c66f7dc74d119a78948cb17/src/loss/weights/"
)
_CAFFE = "https://web.eecs.umich.edu/~justincj/models/"  # of jcjohnson/pytorch-vgg
_DISTS = (
    "https://raw.githubusercontent.com/dingkeyan93/DISTS/"
    "1267d8cb626c98706db3697422701c56a85ebf2e/DISTS_pytorch/weights.pt"
)


@dataclass(frozen=True)
class WeightFile:
    """A file that answers for a name."""

    name: str
    sha256: str | None = None  # hexadecimal, or its first digits; None where nobody states it


@dataclass(frozen=True)
class Pretrained:
    """Pretrained weights by the name that losses and metrics ask for."""

    name: str
    files: tuple[WeightFile, ...]  # any of them will do; the first is the one that is fetched
    licence: str
    size: int | None = None  # bytes of the first file
    url: str | None = None  # official address of the first file
    package: str | None = None  # the installed package that brings the first file, and where


def _torchvision(name: str, file: str, sha256: str, size: int) -> Pretrained:
    licence = "BSD-3-Clause (torchvision)"
    return Pretrained(name, (WeightFile(file, sha256),), licence, size, _TORCHVISION + file)


def _lpips(net: str, sha256: str, size: int) -> Pretrained:
    file = WeightFile(f"{net}.pth", sha256)
    return Pretrained(
        f"lpips-{net}", (file,), "BSD-2-Clause (LPIPS)", size, package="lpips/weights/v0.1"
    )


def _czolbe(
    name: str, stem: str, size: int, sha256: str | None = None, *others: WeightFile
) -> Pretrained:
    file = WeightFile(f"{stem}_trial0.pth", sha256)
    licence = "none stated: ask the authors (Czolbe et al.) before passing it on"
    return Pretrained(name, (file, *others), licence, size, _CZOLBE + file.name)


_WATSON = WeightFile(
    "watson_czolbe2020.safetensors",
    "7d3ed65dfd497c72bfaabe84e2a997badeedb07cfcf4aef40f1fdb48b12eb4c2",
)

_ROWS = (
    Pretrained(
        "inception",
        (
            WeightFile(
                "pt_inception-2015-12-05-6726825d.pth",
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ),
        ),
        "Apache-2.0 (pytorch-fid)",
        95_628_359,
        _FID + "pt_inception-2015-12-05-6726825d.pth",
    ),
    _torchvision(
        "squeezenet",
        "squeezenet1_1-b8a52dc0.pth",
        "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        4_958_839,
    ),
    _torchvision(
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        244_408_911,
    ),
    _torchvision(
        "vgg16",
        "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553_433_881,
    ),
    _torchvision(
        "vgg19",
        "vgg19-dcbb9e9d.pth",
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        574_673_361,
    ),
    Pretrained(
        "vgg19-caffe",
        (WeightFile("vgg19-d01eb7cb.pth", "d01eb7cb"),),
        "CC BY 4.0 (Simonyan and Zisserman)",
        url=_CAFFE + "vgg19-d01eb7cb.pth",
    ),
    Pretrained(
        "squeezenet-caffe",
        (
            WeightFile(
                "squeezenet1_1_caffe_features.safetensors",
                "cd45ae044a1a47f6d0828cc50fc77431e4c11d7c81f48904aa17d499211acbf8",
            ),
        ),
        "BSD-2-Clause (DeepScale)",
    ),
    _lpips("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 6_009),
    _lpips("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 7_289),
    _lpips("squeeze", "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76", 10_811),
    Pretrained(
        "dists",
        (
            WeightFile(
                "dists-weights.pt",
                "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
            ),
        ),
        "MIT (DISTS)",
        12_288,
        _DISTS,
    ),
    _czolbe("deeploss-vgg-rgb", "rgb_pnet_lin_vgg", 7_297),
    _czolbe("deeploss-vgg-gray", "gray_pnet_lin_vgg", 7_297),
    _czolbe("deeploss-squeeze-rgb", "rgb_pnet_lin_squeeze", 10_811),
    _czolbe("deeploss-squeeze-gray", "gray_pnet_lin_squeeze", 10_811),
    _czolbe(
        "watson-dft-rgb",
        "rgb_watson_fft",
        3_771,
        "98386c0e0841fc346ab4c7d296788ed0af81f2ca8866a885be4405d03321a717",
        _WATSON,
    ),
    _czolbe(
        "watson-dft-gray",
        "gray_watson_fft",
        1_304,
        "74fda350525e4660671bc957944d6e9773b3989effc5aa9d2b73eccd5943584e",
        _WATSON,
    ),
    _czolbe(
        "watson-dct-rgb",
        "rgb_watson_dct",
        4_326,
        "bde40e0bc1912060da45b4487df660450ba91fa44c031f22a144c661d99488ef",
        _WATSON,
    ),
    _czolbe(
        "watson-dct-gray",
        "gray_watson_dct",
        1_489,
        "6401e9d3a430ac5dac691f93f1b9b61562ce13457a26b4dcb87eea39c5ea7ff4",
        _WATSON,
    ),
)
TABLE: dict[str, Pretrained] = {row.name: row for row in _ROWS}
