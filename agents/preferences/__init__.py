"""x"""
from .choices import *
