"""Read the models that LightGBM, XGBoost and CatBoost save, as trees."""
