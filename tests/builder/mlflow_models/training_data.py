"""The data of the models that the comparisons save, on Python 3.8 and later."""

import numpy as np
import pandas as pd

numbers = np.random.RandomState(3)
HOUSES = pd.DataFrame(
    {
        "area": numbers.uniform(20, 200, 60),
        "rooms": numbers.randint(1, 7, 60),
        "region": numbers.choice(["north", "south"], 60),
        "has_lift": numbers.rand(60) > 0.5,
    }
)
PRICES = HOUSES["area"] * 3 + HOUSES["rooms"] * 40
MATRIX = numbers.rand(40, 2)
TEXTS = pd.DataFrame({"text": ["good wine", "bad wine", "good", "bad"] * 3})
