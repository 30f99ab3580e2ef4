"""How samples are made: crop, augment, composite, trimap, degrade."""
