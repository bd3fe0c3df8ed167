"""The facts of each dataset (one YAML file each), the catalogue that reads them, and the card made from them."""
