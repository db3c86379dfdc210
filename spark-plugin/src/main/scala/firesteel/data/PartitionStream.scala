package firesteel.data

import firesteel.util.Resources
import org.apache.arrow.c.{ArrowArrayStream, Data}
import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.ipc.ArrowReader
import org.apache.arrow.vector.types.pojo.Schema
import org.apache.spark.TaskContext
import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.sql.firesteel.SqlPrivate

/** The rows of one partition as an Arrow C stream, for the task's thread. */
private[firesteel] trait PartitionStream {

  /** The partition's number, from 0 until the number of tasks. */
  def partition: Int

  /** Exports the stream and passes its address to a consumer, which takes ownership and pulls the stream to its end or
    * releases it earlier. A failure on Spark's side while the consumer pulls is rethrown in place of the consumer's
    * error. May be called once.
    *
    * @param consume
    *   takes the address of an `ArrowArrayStream`, such as `NativeWorker.load`
    */
  def feed(consume: Long => Unit): Unit
}

/** A stream with its own allocator, which must be empty when the stream is closed. */
private[data] final class TaskStream(
    context: TaskContext,
    plan: DataPlan,
    source: Source,
    batches: BatchSource,
    limits: BatchLimits
) extends PartitionStream {

  override val partition: Int = context.partitionId()

  private var fed = false

  override def feed(consume: Long => Unit): Unit = {
    require(!fed, "a stream can be fed only once")
    fed = true
    Resources.use(SqlPrivate.allocator(s"firesteel-$partition-${context.taskAttemptId()}")) {
      allocator =>
        val filler = new BatchFiller(allocator, plan, source, partition, limits)
        val reader = new PullReader(allocator, filler, batches, context)
        Resources.use(reader)(_ => pull(allocator, reader, consume))
    }
  }

  private def pull(allocator: BufferAllocator, reader: PullReader, consume: Long => Unit): Unit =
    Resources.use(ArrowArrayStream.allocateNew(allocator)) { struct =>
      Data.exportArrayStream(allocator, reader, struct)
      try consume(struct.memoryAddress)
      catch {
        case error: Throwable =>
          throw reader.failure.fold(error) { cause =>
            if (cause ne error) cause.addSuppressed(error)
            cause
          }
      } finally if (struct.snapshot.release != 0) struct.release()
      reader.failure.foreach(cause => throw cause)
    }
}

/** Fills a batch for each pull, and keeps the cause of a failure. */
private final class PullReader(
    allocator: BufferAllocator,
    filler: BatchFiller,
    batches: BatchSource,
    context: TaskContext
) extends ArrowReader(allocator) {

  private var kept: Option[Throwable] = None
  private var pulled = 0L

  /** The cause of a failed pull; only its text crosses the C interface. */
  def failure: Option[Throwable] = kept

  override def loadNextBatch(): Boolean =
    try {
      SparkPrivate.killIfInterrupted(context)
      prepareLoadNextBatch()
      filler.begin()
      batches.fill(filler)
      val more = filler.rows > 0
      if (more) {
        val batch = filler.finish()
        pulled += batch.computeBodyLength()
        loadRecordBatch(batch)
      } else filler.close()
      more
    } catch {
      case error: Throwable =>
        kept = kept.orElse(Some(error))
        throw error
    }

  override def bytesRead(): Long = pulled

  override protected def readSchema(): Schema = filler.schema

  override protected def closeReadSource(): Unit = filler.close()
}
