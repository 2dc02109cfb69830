"""The report's tables, figures and text. It reads result files and imports no network: restyling never retrains."""
