package firesteel.network

/** An archive of `torch.jit.save` in memory. */
private[firesteel] final class TorchScriptArchive private (content: Array[Byte])
    extends FileContent(content) {

  override def toString: String = s"${bytes.length} bytes"
}

private[firesteel] object TorchScriptArchive {

  /** The first bytes of a zip file, which an archive is. */
  private val Zip = "PK".getBytes("US-ASCII")

  /** Copies an archive. Its content is not checked.
    *
    * @throws java.lang.IllegalArgumentException
    *   when the bytes are not an archive
    */
  def apply(bytes: Array[Byte]): TorchScriptArchive = {
    require(
      bytes.startsWith(Zip),
      s"the module, ${bytes.length} bytes, is not an archive of torch.jit.save"
    )
    new TorchScriptArchive(bytes.clone())
  }
}
