"""Detection: is this picture generated or manipulated?"""
