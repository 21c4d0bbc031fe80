"""What reading and corpus both know about text: its words and its language.

The child that reads strangers' files imports this package: nothing here may import Django or NumPy.
"""
