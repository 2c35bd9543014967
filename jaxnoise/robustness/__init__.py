"""What a trained network stands: certificates, noise kept on, curves of noise."""
