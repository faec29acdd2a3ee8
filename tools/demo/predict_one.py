"""One row from Python, as a program on the device would ask."""

import sys

import edge_runtime

model = edge_runtime.load(sys.argv[1])
penguin = {
    "island": "Biscoe",
    "bill_length_mm": 46.1,
    "bill_depth_mm": 13.2,
    "flipper_length_mm": 211.0,
    "body_mass_g": 4500.0,
    "sex": "female",
}
print("predict_one   ->", model.predict_one(penguin))
species = model.manifest.classes["predict"]
probabilities = model.predict_proba([penguin])[0]
for label, probability in zip(species, probabilities, strict=True):
    print(f"predict_proba -> {label:<9} {probability:.12f}")
