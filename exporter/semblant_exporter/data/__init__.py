"""Real pictures to try things on: Fashion-MNIST and the Open Clip Art Library, as folders of PNG files with metadata."""

from .clipart import clipart
from .fashion import FASHION_MNIST_CATEGORIES, fashion_mnist
from .folder import DataReport

__all__ = ["FASHION_MNIST_CATEGORIES", "DataReport", "clipart", "fashion_mnist"]
