"""Semblant's encoder workshop: train on your own pictures, export one ONNX file, evaluate it."""
