"""Models of LightGBM, XGBoost and CatBoost, read from what they save, through one tree builder."""
