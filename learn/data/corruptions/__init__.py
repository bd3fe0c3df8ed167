"""Corruptions of test images: noise, blur, changes of tone and artefacts of the modality, at five severities."""
