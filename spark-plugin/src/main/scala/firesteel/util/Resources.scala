package firesteel.util

import firesteel.bridge.InternalException
import org.apache.arrow.memory.BufferAllocator

/** Resources that are open for as long as a block runs. A failure to close never hides the failure of the block. */
private[firesteel] object Resources {

  /** Runs a block with a resource and closes it afterwards. An allocator must have got all of its memory back.
    *
    * @throws firesteel.bridge.InternalException
    *   when an allocator still has memory in use
    */
  def use[A <: AutoCloseable, R](resource: A)(block: A => R): R = {
    val result =
      try block(resource)
      catch {
        case error: Throwable =>
          try resource.close()
          catch { case second: Throwable => if (second ne error) error.addSuppressed(second) }
          throw error
      }
    resource match {
      case allocator: BufferAllocator => closeEmpty(allocator)
      case other => other.close()
    }
    result
  }

  /** Opens a resource for each item, in order, runs a block with all of them, and closes them in the reverse order. */
  def useAll[I, A <: AutoCloseable, R](items: Seq[I])(open: I => A)(block: Seq[A] => R): R =
    items match {
      case first +: rest =>
        use(open(first))(opened => useAll(rest)(open)(others => block(opened +: others)))
      case _ => block(Nil)
    }

  private def closeEmpty(allocator: BufferAllocator): Unit = {
    val left = allocator.getAllocatedMemory
    val name = allocator.getName
    try allocator.close()
    catch {
      case leak: IllegalStateException =>
        val error = new InternalException(
          s"$left bytes of Arrow memory were not given back to $name"
        )
        error.addSuppressed(leak)
        throw error
    }
  }
}
