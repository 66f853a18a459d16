"""Kinds of pictures that other libraries read, one module each; nothing here is imported before such a file is met.

Each has `opened(data, fragment)`: the picture as Pillow has them, not yet decoded; and `other_frames(data)`: the fragments of
all pictures in the file but the first (see `images.frames`).
"""
