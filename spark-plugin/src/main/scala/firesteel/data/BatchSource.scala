package firesteel.data

import java.util

import org.apache.arrow.memory.{ArrowBuf, BufferAllocator}
import org.apache.arrow.vector.ipc.message.{ArrowFieldNode, ArrowRecordBatch}
import org.apache.arrow.vector.types.pojo.Schema
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.vectorized.ColumnarBatch

import scala.jdk.CollectionConverters._

/** The maximum size of a batch: a batch ends with the row that reaches one of the two.
  *
  * @param rows
  *   the number of rows
  * @param bytes
  *   the number of bytes; a single row may be larger
  */
private[firesteel] final case class BatchLimits(rows: Int, bytes: Long)

private[firesteel] object BatchLimits {

  /** The default limits. The bytes are few enough that a batch is still in the processor's cache when native code
    * copies it.
    */
  val Default: BatchLimits = BatchLimits(rows = 4096, bytes = 2L << 20)
}

/** Fills Arrow batches with the plan's columns. */
private[firesteel] final class BatchFiller(
    allocator: BufferAllocator,
    plan: DataPlan,
    source: Source,
    partition: Int,
    limits: BatchLimits
) extends AutoCloseable {

  private val position = new Position(partition)
  private val writers = new Writers(allocator, source, position)(plan)
  private val builders = writers.map(_.builder).toArray
  private val rowWriters = writers.map(_.rows).toArray
  private val vectorWriters = writers.map(_.vectors).toArray
  private val variable = builders.exists(_.isInstanceOf[SparseBuilder])
  private var count = 0
  private var limit = 0

  /** The schema of the batches. */
  val schema: Schema = new Schema(writers.flatMap(_.builder.fields).asJava)

  /** The maximum number of rows of a batch. */
  val capacity: Int = {
    val rowBytes = math.max(1L, builders.map(_.rowBytes).sum)
    math.max(1L, math.min(limits.rows.toLong, limits.bytes / rowBytes)).toInt
  }

  /** Starts a batch of at most `rows` rows. */
  def begin(rows: Int = capacity): Unit = {
    limit = math.min(rows, capacity)
    builders.foreach(_.begin(limit))
    count = 0
  }

  /** The rows of the batch so far. */
  def rows: Int = count

  /** True if the batch takes no further row. */
  def full: Boolean = count == limit || (variable && count > 0 && bytes >= limits.bytes)

  private def bytes: Long = {
    var sum = 0L
    var i = 0
    while (i < builders.length) {
      sum += builders(i).extraBytes + builders(i).rowBytes * count
      i += 1
    }
    sum
  }

  /** Adds a row to a batch that is not full. */
  def add(row: InternalRow): Unit = {
    var i = 0
    while (i < rowWriters.length) {
      rowWriters(i).write(row, count)
      i += 1
    }
    count += 1
  }

  /** Adds the rows of a columnar batch from `from` until `end`, as many as fit; returns their number. */
  def add(batch: ColumnarBatch, from: Int, end: Int): Int = {
    val wanted = math.min(end - from, if (variable) 1 else limit - count)
    var i = 0
    while (i < vectorWriters.length) {
      vectorWriters(i).write(batch, from, wanted, count)
      i += 1
    }
    count += wanted
    wanted
  }

  /** Ends the batch and returns it; the caller owns it. */
  def finish(): ArrowRecordBatch = {
    val nodes = new util.ArrayList[ArrowFieldNode]
    val buffers = new util.ArrayList[ArrowBuf]
    builders.foreach(_.parts(count, nodes, buffers))
    val batch = new ArrowRecordBatch(count, nodes, buffers)
    builders.foreach(_.close())
    position.rows += count
    batch
  }

  /** Releases the buffers of an unfinished batch. */
  override def close(): Unit = builders.foreach(_.close())
}

/** The batches of a partition, one after the other. */
private[data] trait BatchSource {

  /** Fills a batch; adds no row at the end of the partition. */
  def fill(filler: BatchFiller): Unit
}

/** The batches of a partition of rows. */
private[data] final class RowSource(rows: Iterator[InternalRow]) extends BatchSource {

  override def fill(filler: BatchFiller): Unit =
    while (!filler.full && rows.hasNext) filler.add(rows.next())
}

/** The batches of a partition of columnar batches. `hasNext` overwrites the previous batch, which is not used again. */
private[data] final class VectorSource(batches: Iterator[ColumnarBatch]) extends BatchSource {
  private var batch: ColumnarBatch = _
  private var next = 0
  private var end = 0

  override def fill(filler: BatchFiller): Unit =
    while (!filler.full && advance()) next += filler.add(batch, next, end)

  /** Returns true if there is a row, after a step to the next batch with rows if needed. */
  private def advance(): Boolean = {
    while (next == end && batches.hasNext) {
      batch = batches.next()
      next = 0
      end = batch.numRows
    }
    next < end
  }
}
