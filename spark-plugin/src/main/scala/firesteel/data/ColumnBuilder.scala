package firesteel.data

import java.util

import scala.jdk.CollectionConverters._

import org.apache.arrow.memory.{ArrowBuf, BufferAllocator}
import org.apache.arrow.vector.ipc.message.ArrowFieldNode
import org.apache.arrow.vector.types.FloatingPointPrecision
import org.apache.arrow.vector.types.pojo.{ArrowType, Field, FieldType}
import org.apache.spark.unsafe.Platform

/** The Arrow buffers of one column of the plan while a batch is filled. The buffers are not zeroed: every value below
  * the row count is written.
  */
private[data] sealed abstract class ColumnBuilder extends AutoCloseable {

  /** The Arrow columns of this column. */
  def fields: Seq[Field]

  /** The fixed number of bytes of a row. */
  def rowBytes: Long

  /** The number of bytes written in addition to `rowBytes` for each row. */
  def extraBytes: Long

  /** Allocates buffers for `rows` rows. */
  def begin(rows: Int): Unit

  /** Appends the nodes and buffers of the Arrow columns, after all rows are written. This builder keeps the ownership
    * of the buffers.
    */
  def parts(
      rows: Int,
      nodes: util.List[ArrowFieldNode],
      buffers: util.List[ArrowBuf]
  ): Unit

  /** Releases the buffers; an owner that retained them keeps them. */
  override def close(): Unit
}

private[data] object ColumnBuilder {

  /** Double-precision numbers, the type of labels. */
  val Float64: ArrowType = new ArrowType.FloatingPoint(FloatingPointPrecision.DOUBLE)

  val Float32: ArrowType = new ArrowType.FloatingPoint(FloatingPointPrecision.SINGLE)

  /** Returns the Arrow type of an element type. */
  def arrowType(element: ElementType): ArrowType = element match {
    case ElementType.U8 => new ArrowType.Int(8, false)
    case ElementType.I8 => new ArrowType.Int(8, true)
    case ElementType.I16 => new ArrowType.Int(16, true)
    case ElementType.I32 => new ArrowType.Int(32, true)
    case ElementType.I64 => new ArrowType.Int(64, true)
    case ElementType.F32 => Float32
  }

  def field(name: String, arrow: ArrowType, children: Field*): Field =
    new Field(name, FieldType.notNullable(arrow), children.asJava)
}

/** One number for each row. */
private[data] final class ScalarBuilder(
    allocator: BufferAllocator,
    name: String,
    arrow: ArrowType,
    width: Int
) extends ColumnBuilder {

  private var data: ArrowBuf = allocator.getEmpty

  /** The address of row 0 of the batch. */
  def address: Long = data.memoryAddress

  override def fields: Seq[Field] = Seq(ColumnBuilder.field(name, arrow))

  override def rowBytes: Long = width.toLong

  override def extraBytes: Long = 0

  override def begin(rows: Int): Unit = data = allocator.buffer(rows.toLong * width)

  override def parts(
      rows: Int,
      nodes: util.List[ArrowFieldNode],
      buffers: util.List[ArrowBuf]
  ): Unit = {
    nodes.add(new ArrowFieldNode(rows.toLong, 0))
    buffers.add(allocator.getEmpty)
    buffers.add(data.writerIndex(rows.toLong * width))
    ()
  }

  override def close(): Unit = {
    data.close()
    data = allocator.getEmpty
  }
}

/** A fixed number of values for each row, all rows in one piece of memory. As long as they are consecutive rows of one
  * Arrow vector, that is the vector's memory, else its own.
  */
private[data] final class DenseBuilder(
    allocator: BufferAllocator,
    name: String,
    arrow: ArrowType,
    val width: Int,
    val size: Int
) extends ColumnBuilder {

  private val values = new ScalarBuilder(allocator, "item", arrow, width)
  private var capacity = 0
  private var shared: Option[ArrowBuf] = None
  private var begun = false

  override val rowBytes: Long = size.toLong * width

  /** Returns the address of a row of the batch. */
  def address(row: Int): Long = {
    if (!begun) own()
    values.address + row * rowBytes
  }

  /** Shares the first rows with a buffer, without a copy; returns false if the buffer is not shareable. */
  def share(source: ArrowBuf, from: Long, rows: Int): Boolean = {
    val manager = source.getReferenceManager
    val sameRoot = manager.getAllocator.getRoot eq allocator.getRoot
    if (sameRoot) shared = Some(manager.retain(source.slice(from, rows * rowBytes), allocator))
    sameRoot
  }

  private def own(): Unit = {
    values.begin(Math.multiplyExact(capacity, size))
    begun = true
    shared.foreach { buffer =>
      Platform.copyMemory(null, buffer.memoryAddress, null, values.address, buffer.capacity)
      buffer.close()
    }
    shared = None
  }

  override def fields: Seq[Field] =
    Seq(ColumnBuilder.field(name, new ArrowType.FixedSizeList(size), values.fields: _*))

  override def extraBytes: Long = 0

  override def begin(rows: Int): Unit = capacity = rows

  override def parts(
      rows: Int,
      nodes: util.List[ArrowFieldNode],
      buffers: util.List[ArrowBuf]
  ): Unit = {
    nodes.add(new ArrowFieldNode(rows.toLong, 0))
    buffers.add(allocator.getEmpty)
    shared match {
      case Some(buffer) =>
        nodes.add(new ArrowFieldNode(rows.toLong * size, 0))
        buffers.add(allocator.getEmpty)
        buffers.add(buffer.writerIndex(rows * rowBytes))
        ()
      case None => values.parts(rows * size, nodes, buffers)
    }
  }

  override def close(): Unit = {
    values.close()
    shared.foreach(_.close())
    shared = None
    begun = false
  }
}

/** Rows in CSR form: a list of indices and a list of values, with the same offsets. */
private[data] final class SparseBuilder(allocator: BufferAllocator, name: String, val size: Int)
    extends ColumnBuilder {

  private var offsets: ArrowBuf = allocator.getEmpty
  private var indices: ArrowBuf = allocator.getEmpty
  private var values: ArrowBuf = allocator.getEmpty
  private var count = 0

  override def fields: Seq[Field] = Seq(
    list("indices", new ArrowType.Int(32, true)),
    list("values", ColumnBuilder.Float32)
  )

  private def list(part: String, arrow: ArrowType): Field =
    ColumnBuilder.field(s"$name.$part", ArrowType.List.INSTANCE, ColumnBuilder.field("item", arrow))

  override def rowBytes: Long = Integer.BYTES.toLong

  override def extraBytes: Long = count.toLong * (Integer.BYTES + java.lang.Float.BYTES)

  override def begin(rows: Int): Unit = {
    count = 0
    offsets = allocator.buffer((rows + 1L) * Integer.BYTES)
    offsets.setInt(0, 0)
  }

  /** Reserves memory for `more` values. */
  def reserve(more: Int): Unit = {
    val needed = Math.addExact(count, more).toLong * Integer.BYTES
    if (needed > values.capacity) {
      indices = grow(indices, needed)
      values = grow(values, needed)
    }
  }

  /** Adds a value to the row; memory must have been reserved. */
  def put(index: Int, value: Float): Unit = {
    val at = count.toLong * Integer.BYTES
    indices.setInt(at, index)
    values.setFloat(at, value)
    count += 1
  }

  /** Ends a row. */
  def end(row: Int): Unit = offsets.setInt((row + 1L) * Integer.BYTES, count)

  private def grow(old: ArrowBuf, needed: Long): ArrowBuf = {
    val buffer = allocator.buffer(math.max(needed, math.max(2 * old.capacity, 1L << 14)))
    buffer.setBytes(0, old, 0, count.toLong * Integer.BYTES)
    old.close()
    buffer
  }

  override def parts(
      rows: Int,
      nodes: util.List[ArrowFieldNode],
      buffers: util.List[ArrowBuf]
  ): Unit = {
    offsets.writerIndex((rows + 1L) * Integer.BYTES)
    for (data <- Seq(indices, values)) {
      nodes.add(new ArrowFieldNode(rows.toLong, 0))
      nodes.add(new ArrowFieldNode(count.toLong, 0))
      buffers.add(allocator.getEmpty)
      buffers.add(offsets)
      buffers.add(allocator.getEmpty)
      buffers.add(data.writerIndex(count.toLong * Integer.BYTES))
    }
  }

  override def close(): Unit = {
    Seq(offsets, indices, values).foreach(_.close())
    offsets = allocator.getEmpty
    indices = offsets
    values = offsets
  }
}
