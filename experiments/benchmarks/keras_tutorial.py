"""One run of the tutorial's script, as its readers write it: fit, evaluate, plot."""

import sys

import keras
import matplotlib
from sklearn.datasets import make_circles

matplotlib.use("Agg")
from matplotlib import pyplot as plt

epochs, picture = int(sys.argv[1]), sys.argv[2]
x, y = make_circles(n_samples=100, noise=0.1, random_state=1)
x_train, x_test, y_train, y_test = x[:30], x[30:], y[:30], y[30:]
model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(500),
        keras.layers.GaussianNoise(0.1),
        keras.layers.Activation("relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(
    x_train, y_train, validation_data=(x_test, y_test), epochs=epochs, verbose=0
)
_, train = model.evaluate(x_train, y_train, verbose=0)
_, test = model.evaluate(x_test, y_test, verbose=0)
print(f"Train: {train:.3f}, Test: {test:.3f}")
plt.plot(history.history["accuracy"], label="train")
plt.plot(history.history["val_accuracy"], label="test")
plt.legend()
plt.savefig(picture)
