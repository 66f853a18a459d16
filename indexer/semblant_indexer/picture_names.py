"""What files of pictures are called."""

from __future__ import annotations

__all__ = ["LIBRARY_SUFFIXES", "PICTURE_SUFFIXES", "has_picture_suffix", "needs_library"]

_RAW = """3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 srf srw x3f"""
_VIDEOS = """3g2 3gp asf avi f4v flv m2t m2ts m4v mkv mov mp4 mpeg mpg mts qt webm wmv"""
LIBRARY_SUFFIXES = frozenset(f"heic heics heif heifs hif jxl pdf svg svgz {_RAW} {_VIDEOS}".split())
"""Of kinds that a library of its own reads, which may not be installed."""
_PILLOW = """
    png apng
    jpg jpeg jpe jfif jfi jif pjpeg pjp mpo jps insp
    gif webp avif avifs
    tif tiff btf tf8
    bmp dib
    ppm pgm pbm pnm
    jp2 j2k j2c jpc jpf jpx jph jhc
    ico cur
    tga tpic icb vda
    pcx qoi psd
    sgi rgb rgba
"""
PICTURE_SUFFIXES = LIBRARY_SUFFIXES | frozenset(_PILLOW.split())
"""Files of other names are left alone and not counted as found; what these hold is only known after reading.

Three names of formats that are read are not among them, for far more files of other kinds have them: `pfm` (metrics of fonts),
`vst` (templates of Visio), `bw` (tracks of genomes).
"""


def has_picture_suffix(name: str) -> bool:
    """Whether a file's name is one of a picture."""
    return name.rpartition(".")[2].lower() in PICTURE_SUFFIXES


def needs_library(name: str) -> bool:
    """Whether a file's name is one of a picture that a library of its own reads."""
    return name.rpartition(".")[2].lower() in LIBRARY_SUFFIXES
