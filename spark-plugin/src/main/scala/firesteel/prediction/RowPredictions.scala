package firesteel.prediction

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{
  GenericInternalRow,
  JoinedRow,
  UnsafeArrayData,
  UnsafeProjection,
  UnsafeRow
}
import org.apache.spark.sql.types.DoubleType
import org.apache.spark.unsafe.Platform

/** Predicts rows: reads a batch of rows ahead and keeps only their columns that pass through. */
private[prediction] final class RowPredictions(
    task: PredictionTask,
    batches: NativeBatches,
    child: Iterator[InternalRow]
) extends Iterator[InternalRow] {

  private val keep = UnsafeProjection.create(task.passed, task.input)
  private val join =
    UnsafeProjection.create((task.passed.map(_.dataType) ++ task.outputs.map(_.dataType)).toArray)
  private val joined = new JoinedRow
  private val computed = new ComputedRow(task.outputs)
  private val kept = new Array[UnsafeRow](batches.filler.capacity)
  private var at = 0
  private var end = 0

  override def hasNext: Boolean = at < end || fill()

  override def next(): InternalRow = {
    if (!hasNext) throw new NoSuchElementException("the partition has no further row")
    computed.move(at)
    val row = if (task.passed.isEmpty) join(computed.row) else join(joined(kept(at), computed.row))
    at += 1
    row
  }

  private def fill(): Boolean = {
    at = 0
    end = 0
    if (child.hasNext) {
      batches.begin()
      while (!batches.filler.full && child.hasNext) add(child.next())
      val outputs = batches.predict()
      computed.show(outputs)
      end = outputs.rows
    } else batches.close()
    end > 0
  }

  private def add(row: InternalRow): Unit = {
    if (task.passed.nonEmpty) kept(batches.filler.rows) = keep(row).copy()
    batches.filler.add(row)
  }
}

/** The outputs of one row, as a row. */
private final class ComputedRow(kinds: Seq[OutputKind]) {

  /** The current row; changed by the next move. */
  val row = new GenericInternalRow(kinds.size)

  private var columns = Array.empty[OutputMatrix]
  private var arrays = Array.empty[ReusableArray]

  /** Sets the outputs of a batch. */
  def show(outputs: Outputs): Unit = {
    columns = outputs.columns.toArray
    if (arrays.isEmpty) {
      arrays = columns.map(column => new ReusableArray(column.width))
      for (i <- arrays.indices if kinds(i).dataType != DoubleType)
        row.update(i, InternalRow(DenseVector.Kind, null, null, arrays(i).data))
    }
  }

  /** Moves to a row of the batch. */
  def move(to: Int): Unit = {
    var i = 0
    while (i < columns.length) {
      if (kinds(i).dataType == DoubleType) {
        row.setDouble(i, Platform.getDouble(null, columns(i).address(to)))
      } else arrays(i).set(columns(i).address(to))
      i += 1
    }
  }
}

/** A Spark array of doubles that is overwritten for each row. */
private final class ReusableArray(size: Int) {

  private val header = UnsafeArrayData.calculateHeaderPortionInBytes(size)
  private val words = new Array[Long](header / 8 + size)

  /** The array. */
  val data: UnsafeArrayData = {
    words(0) = size.toLong
    val array = new UnsafeArrayData
    array.pointTo(words, Platform.LONG_ARRAY_OFFSET.toLong, words.length * 8)
    array
  }

  /** Copies the values from an address. */
  def set(from: Long): Unit =
    Platform.copyMemory(null, from, words, Platform.LONG_ARRAY_OFFSET.toLong + header, size * 8L)
}
