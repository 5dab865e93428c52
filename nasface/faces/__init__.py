"""3D face geometry: models, cameras, UV maps, rasterising. No networks."""
