"""Multiple-choice questions for vision-language models, made from the labels of a built dataset."""
