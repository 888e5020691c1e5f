"""From a trained network to the one on the vehicle: prediction, windows, ONNX, domain."""
