package firesteel.data

import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.ColumnarBatch

/** Reads the values of a column for statistics. Nulls are skipped, not rejected. */
private[data] sealed abstract class ValueReader {

  /** Calls `use` with the index and the value of each number of a row; zeros of sparse vectors are skipped. */
  def read(row: InternalRow)(use: (Int, Double) => Unit): Unit
}

private[data] object ValueReader {

  /** Returns the reader of the column at an index of the rows. */
  def apply(ordinal: Int, dataType: DataType): ValueReader = dataType match {
    case VectorType => new Vectors(ordinal)
    case ArrayType(element, _) => new Arrays(ordinal, NumberReader(element))
    case BinaryType => new Bytes(ordinal)
    case number => new Number(ordinal, NumberReader(number))
  }

  /** Returns the rows of batches, each valid until the next. */
  def rows(batches: Iterator[ColumnarBatch]): Iterator[InternalRow] = batches.flatMap { batch =>
    val columns = Array.tabulate(batch.numCols)(batch.column)
    val rows = Iterator.range(0, batch.numRows)
    if (!columns.exists(_.isInstanceOf[CachedLists])) rows.map(batch.getRow)
    else
      rows.map { index =>
        val row = batch.getRow(index)
        new GenericInternalRow(columns.zipWithIndex.map {
          case (column, _) if column.isNullAt(index) => null
          case (lists: CachedLists, _) => lists.value(index)
          case (column, ordinal) => row.get(ordinal, column.dataType)
        })
      }
  }

  private final class Number(ordinal: Int, reader: NumberReader) extends ValueReader {
    override def read(row: InternalRow)(use: (Int, Double) => Unit): Unit =
      if (!row.isNullAt(ordinal)) use(0, reader.double(row, ordinal))
  }

  private final class Bytes(ordinal: Int) extends ValueReader {
    override def read(row: InternalRow)(use: (Int, Double) => Unit): Unit =
      if (!row.isNullAt(ordinal)) {
        val bytes = row.getBinary(ordinal)
        for (index <- bytes.indices) use(index, (bytes(index) & 0xff).toDouble)
      }
  }

  private final class Arrays(ordinal: Int, reader: NumberReader) extends ValueReader {
    override def read(row: InternalRow)(use: (Int, Double) => Unit): Unit =
      if (!row.isNullAt(ordinal)) each(row.getArray(ordinal), reader)(use)
  }

  private final class Vectors(ordinal: Int) extends ValueReader {
    import VectorRowWriter._

    private val doubles = NumberReader(DoubleType)

    override def read(row: InternalRow)(use: (Int, Double) => Unit): Unit =
      if (!row.isNullAt(ordinal)) {
        val vector = row.getStruct(ordinal, Fields)
        val values = vector.getArray(ValuesField)
        if (vector.getByte(KindField) == DenseKind) each(values, doubles)(use)
        else {
          val indices = vector.getArray(IndicesField)
          each(values, doubles)((place, value) => use(indices.getInt(place), value))
        }
      }
  }

  private def each(array: ArrayData, reader: NumberReader)(use: (Int, Double) => Unit): Unit = {
    var index = 0
    while (index < array.numElements()) {
      if (!array.isNullAt(index)) use(index, reader.double(array, index))
      index += 1
    }
  }
}
