"""The scikit-learn door: networks with noise as estimators, and a search over noise."""
