"""The history of the schema. `modelyard up` applies the migrations at start; the tests build databases from them."""
